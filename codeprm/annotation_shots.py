"""Worked examples for the annotator: problems of our own, solved and commented."""

from __future__ import annotations

from typing import NamedTuple


class Shot(NamedTuple):
    """A problem and its program with reasoning steps; the bare program is what is left of it."""

    statement: str
    annotated: str


SHOTS: tuple[Shot, ...] = (
    Shot(
        "Given n and then n daily temperatures, print the length of the longest run of days on "
        "which it got warmer every day.",
        """\
n = int(input())
days = list(map(int, input().split()))
# A single day is a run of length 1
best = run = 1
for i in range(1, n):
    # The run goes on only if today is warmer than yesterday; otherwise a new one starts here
    run = run + 1 if days[i] > days[i - 1] else 1
    # The longest run may end on any day
    best = max(best, run)
print(best)""",
    ),
    Shot(
        "A ticket machine takes coins of the given values. Print the fewest coins that make "
        "exactly the fare, or -1 if it cannot be made. Input: the fare, then the values.",
        """\
fare = int(input())
coins = list(map(int, input().split()))
# fewest[s] is the fewest coins that make s; nothing is needed for 0
fewest = [0] + [float("inf")] * fare
# Every smaller sum is settled before a larger one is built on it
for s in range(1, fare + 1):
    for coin in coins:
        # Use this coin last, on top of the best way to make the rest
        if coin <= s:
            fewest[s] = min(fewest[s], fewest[s - coin] + 1)
# A sum that stayed at infinity cannot be made
print(-1 if fewest[fare] == float("inf") else fewest[fare])""",
    ),
    Shot(
        "Write a function is_balanced(text) that tells whether the round and square brackets in "
        "the text are properly nested.",
        """\
def is_balanced(text):
    pairs = {")": "(", "]": "["}
    # Brackets that are still open, the innermost last
    open_brackets = []
    for char in text:
        if char in "([":
            open_brackets.append(char)
        elif char in pairs:
            # A closing bracket must match the one opened most recently
            if not open_brackets or open_brackets.pop() != pairs[char]:
                return False
    # Whatever is still open was never closed
    return not open_brackets""",
    ),
    Shot(
        "A cave is a grid of '.' and '#'. Print the number of steps from the upper left to the "
        "lower right cell, moving between neighbouring '.' cells, or -1. Input: the grid's rows.",
        """\
import sys
from collections import deque

grid = sys.stdin.read().split()
height, width = len(grid), len(grid[0])
# Breadth-first search meets every cell first by a shortest way
steps = {(0, 0): 0}
queue = deque([(0, 0)])
while queue:
    # The cell that was found first has the fewest steps of those left
    r, c = queue.popleft()
    for nr, nc in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)):
        # Stay inside, on free cells, and never visit a cell twice
        if 0 <= nr < height and 0 <= nc < width and grid[nr][nc] == "." and (nr, nc) not in steps:
            steps[nr, nc] = steps[r, c] + 1
            queue.append((nr, nc))
# The exit has no entry if it was never reached
print(steps.get((height - 1, width - 1), -1))""",
    ),
    Shot(
        "Workshops have a start and an end time. Print how many of them one person can attend "
        "at most, if one may begin when another ends. Input: n, then n lines with two integers.",
        """\
n = int(input())
workshops = [tuple(map(int, input().split())) for _ in range(n)]
# Taking the one that ends first leaves the most time for the others
workshops.sort(key=lambda workshop: workshop[1])
attended = 0
# Nothing is attended yet, so any start will do
free_from = float("-inf")
for start, end in workshops:
    # Attend it if the last one is over by then
    if start >= free_from:
        attended += 1
        free_from = end
print(attended)""",
    ),
    Shot(
        "Write a function pairs_with_sum(numbers, target) that returns how many pairs of "
        "positions hold two numbers that add up to the target.",
        """\
def pairs_with_sum(numbers, target):
    # How often each number was seen so far
    seen = {}
    count = 0
    for number in numbers:
        # Every earlier partner makes one pair with this position
        count += seen.get(target - number, 0)
        # Only now add it, so that no position pairs with itself
        seen[number] = seen.get(number, 0) + 1
    return count""",
    ),
    Shot(
        "A rope of length L is cut into n equal pieces of whole length; the rest is lost. Given "
        "the lengths of several ropes, print the greatest piece length that gives k pieces or "
        "more, 0 if there is none. Input: k, then the lengths.",
        """\
k = int(input())
ropes = list(map(int, input().split()))
# Longer pieces never give more of them, so the answer can be found by bisection
low, high = 0, max(ropes)
while low < high:
    # Round up, so that low moves on even if the two are neighbours
    middle = (low + high + 1) // 2
    if sum(rope // middle for rope in ropes) >= k:
        # This length works: the answer is here or above
        low = middle
    else:
        # Too long: the answer is below
        high = middle - 1
print(low)""",
    ),
)
