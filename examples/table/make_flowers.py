#!/usr/bin/env python3
"""Writes flowers.csv: measures of 150 invented flowers of three species, with a column of text and two gaps.

usage: make_flowers.py > flowers.csv
"""
import random

SPECIES = {  # the mean of height, petal length and petal width in cm, and where it mostly grows
    "alpine": ((9.0, 1.6, 0.6), ("rock", "rock", "rock", "meadow")),
    "common": ((21.0, 2.4, 0.9), ("meadow", "meadow", "shore", "rock")),
    "marsh": ((24.0, 3.1, 1.5), ("shore", "shore", "shore", "meadow")),
}


def main():
    draw = random.Random(7)
    print("height,petal_length,petal_width,habitat,species")
    for k in range(150):
        species = draw.choice(sorted(SPECIES))
        means, habitats = SPECIES[species]
        numbers = [f"{max(0.1, draw.gauss(mean, 0.16 * mean)):.1f}" for mean in means]
        if k in (40, 97):
            numbers[1] = ""
        print(",".join([*numbers, draw.choice(habitats), species]))


if __name__ == "__main__":
    main()
