"""Learning the merges of byte-pair encoding: the most frequent pair becomes a token, again and again."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise

Pair = tuple[int, int]


def learn_merges(pieces: Iterable[bytes], count: int) -> list[Pair]:
    """At most ``count`` merges; merge i makes token ``256 + i``. Pairs never cross a piece, nor merge when seen once.

    Of equally frequent pairs the one of smaller ids comes first, so that a text always gives the same vocabulary.
    Counts are updated only in the words that hold the merged pair, and a heap finds the next one.
    """
    frequency = Counter(pieces)
    words = [list(piece) for piece in frequency]
    weights = list(frequency.values())
    counts: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)
    for i, word in enumerate(words):
        for pair in pairwise(word):
            counts[pair] += weights[i]
            where[pair].add(i)
    heap = [(-number, pair) for pair, number in counts.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < count:
        negative, pair = heapq.heappop(heap)
        if counts[pair] != -negative:
            if counts[pair] > 0:
                heapq.heappush(heap, (-counts[pair], pair))
            continue
        if -negative < 2:
            break
        changed = _merge_everywhere(pair, 256 + len(merges), words, weights, counts, where)
        for other in changed:
            heapq.heappush(heap, (-counts[other], other))
        merges.append(pair)
    return merges


def _merge_everywhere(
    pair: Pair,
    token: int,
    words: list[list[int]],
    weights: list[int],
    counts: Counter[Pair],
    where: defaultdict[Pair, set[int]],
) -> set[Pair]:
    """Replace ``pair`` by ``token`` in every word that has it; returns the pairs that became more frequent."""
    grown: set[Pair] = set()
    for i in where.pop(pair):
        word, weight = words[i], weights[i]
        for old in pairwise(word):
            counts[old] -= weight
        merged: list[int] = []
        for symbol in word:
            # A merged token never equals pair[0], so overlapping pairs ("aaa") merge from the left.
            if merged and symbol == pair[1] and merged[-1] == pair[0]:
                merged[-1] = token
            else:
                merged.append(symbol)
        words[i] = merged
        for new in pairwise(merged):
            counts[new] += weight
            where[new].add(i)
            if token in new:
                grown.add(new)
    del counts[pair]
    return grown
