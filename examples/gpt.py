"""Train a small GPT on a text and let it write: the main job.

    python examples/gpt.py                      # Python's own language reference, about two minutes
    python examples/gpt.py --data my_text.txt --layers 6 --width 192 --steps 3000

What happens, in the order of the code behind it (tinygrad_like/train/language.py):

1.  read the text and cut it: the first 90 % to train on, the rest to validate on;
2.  make a tokenizer from its characters (--tokens bytes: byte pairs);
3.  build the model (tinygrad_like/models/gpt.py) and AdamW with a cosine learning rate;
4.  compile one training step, forward, backward and update, into a single native program at its first call;
5.  repeat it, and from time to time compute the loss on the validation text and save;
6.  sample from the model, and write model, tokenizer, log and loss plot under runs/.

Expected: 1.56 nats a character on held-out text. Ctrl-C saves everything and says how to go on.
"""

from __future__ import annotations

from tinygrad_like.cli import train
from tinygrad_like.cli.parser import Parser, run_command


def main() -> int:
    parser = Parser(prog="gpt.py", description="Train a small GPT on a text and let it write.")
    train.add_arguments(parser)
    options = parser.parse_args()
    return run_command("gpt.py", lambda: train.run(options))


if __name__ == "__main__":
    raise SystemExit(main())
