# Objects, closures, generators, dictionaries, big integers and regular expressions.
import re
import sys


class Board:
    def __init__(self, n):
        self.n, self.columns, self.up, self.down = n, set(), set(), set()

    def place(self, row=0):
        if row == self.n:
            yield tuple(sorted(self.columns))
            return
        for column in range(self.n):
            if column in self.columns or row + column in self.up or row - column in self.down:
                continue
            self.columns.add(column)
            self.up.add(row + column)
            self.down.add(row - column)
            yield from self.place(row + 1)
            self.columns.discard(column)
            self.up.discard(row + column)
            self.down.discard(row - column)


def collatz(limit):
    lengths = {1: 1}
    for start in range(2, limit):
        n, steps = start, 0
        while n not in lengths:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            steps += 1
        lengths[start] = lengths[n] + steps
    return max(lengths.items(), key=lambda item: (item[1], -item[0]))


def words():
    with open("/bench/text", encoding="utf-8", errors="replace") as file:
        text = file.read(400_000)
    counts = {}
    for word in re.findall(r"[a-z_]+\d*", text, re.I):
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5]


what = sys.argv[1]
if what == "objects":
    print(sum(1 for _ in Board(7).place()), collatz(60_000))
else:
    print([words() for _ in range(4)][-1], str(3**6000)[-30:], sum(int(str(i)[::-1]) for i in range(150_000)))
