"""``python -m tinygrad_like`` is ``tgl``."""

from tinygrad_like.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
