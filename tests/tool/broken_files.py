"""Files that must be refused, each with words that its message must hold.

A case is (name, files by name, arguments after them, words). Files are bytes or text; `DIR` as
content makes a folder. Every message also names a fix.
"""

import json
import pickle

DIR = object()
HAND = "candidate,a,b\nA,1,0\nB,0,1\nC,0.6,0.6\n"
SIZES = ("--sizes", "a=5,b=4")
PROMPTS = "candidate,prompt,a\nA,p,1\nA,q,2\nB,p,3\n"
VERL = '{"input": "x", "output": "y", "score": 1, "step": 1, "a": 2}\n'
LM = [{"doc_id": j, "filter": f, "metrics": ["acc"], "acc": 1.0} for f in "xy" for j in range(2)]


class Trap:
    """Unpickling it would write a file."""

    def __reduce__(self):
        return (open, ("pwned", "w"))


def table(text, *words, sizes=SIZES, name="t.csv"):
    return {name: text}, sizes, words


CASES = {
    "0 bytes": table("", "t.csv", "empty (0 bytes)"),
    "blanks alone": table("\n \n", "nothing but blanks"),
    "header alone": table("candidate,a,b\n", "no rows"),
    "one column": table("candidate\nA\n", "a", "no reward of this name"),
    "no such file": ({}, SIZES, ("t.csv", "no such file")),
    "empty folder": ({"t.csv": DIR}, SIZES, ("t.csv", "folder holds no file")),
    "pickle": table(pickle.dumps(Trap()), "pickle or an archive", "never opened"),
    "zip": table(b"PK\x03\x04" + bytes(range(128, 256)), "pickle or an archive"),
    "zero bytes": table(HAND.encode() + b"\0\0", "binary"),
    "parquet cut off": table(b"PAR1" + b"\0" * 40, "no readable Parquet", name="t.parquet"),
    "parquet by name": table(HAND, "no readable Parquet", name="t.parquet"),
    "latin-1": table(HAND.replace("A", "Zoé").encode("latin-1"), "utf-8", "--encoding", "line 2"),
    "mixed encodings": table(
        HAND.encode() + b"x," * 0 + b"D,1,1\n" * 60000 + "Zoé,1,1\n".encode("latin-1"),
        "cannot be read", "--encoding"),
    "unknown encoding": table(HAND, "--encoding", "must be one of",
                              sizes=(*SIZES, "--encoding", "klingon")),
    "text in a number": table(HAND + "D,abc,1\n", "t.csv, row 4", "'a'", "'abc'", "a number"),
    "text far down": table(HAND + "".join(f"c{j},1,1\n" for j in range(9000)) + "D,1,x\n",
                           "row 9004", "'b'", "'x'"),
    "number with a unit": table(HAND + "D,5%,1\n", "row 4", "'5%'"),
    "thousands": table(HAND + 'D,"1,000",1\n', "row 4", "'1,000'"),
    "underscore": table(HAND + "D,1_0,1\n", "row 4", "'1_0'"),
    "infinity": table(HAND + "D,inf,1\n", "row 4", "finite"),
    "overflow": table(HAND + "D,1e999,1\n", "row 4", "finite"),
    "NaN": table(HAND + "D,nan,1\n", "row 4", "missing", "--missing drop"),
    "empty cell": table(HAND + "D,,1\n", "row 4", "missing", "1 of 'a'"),
    "cells missing": table(HAND + "D,1\n", "cannot be read", "t.csv"),
    "cells too many": table(HAND + "D,1,2,3\n", "cannot be read", "t.csv"),
    "quote left open": table(HAND + 'D,"1,2\n', "cannot be read", "t.csv"),
    "candidate twice": table(HAND + "A,1,1\n", "row 4", "'A'", "comes twice"),
    "candidate empty": table(HAND + ",1,1\n", "row 4", "name its candidate"),
    "column twice": table(HAND.replace("b", "a", 1), "column 'a' comes twice"),
    "column nameless": table(HAND.replace(",b", ",", 1), "column 3 has no name"),
    "decimal commas in commas": table("candidate,a,b\nA,1,5,2\n", "cannot be read"),
    "mixed decimal marks": table(HAND.replace(",", ";").replace("0.6", "0,6") + "D;1.5;1\n",
                                 "row 4", "'1.5'"),
    "unknown group": table(HAND, "--sizes = z", "choose from a, b", sizes=("--sizes", "z=1")),
    "no size": table(HAND, "--sizes", "has no size", sizes=("--sizes", "a")),
    "size 0": table(HAND, "size of 'a'", "> 0", sizes=("--sizes", "a=0")),
    "size nan": table(HAND, "size of 'a'", "finite", sizes=("--sizes", "a=nan")),
    "constant reward": table("candidate,a,b\nA,1,0\nB,1,1\n", "reward 'a'", "min-max is undefined"),
    "one candidate": table("candidate,a,b\nA,1,0\n", "all 1 candidates", "min-max"),
    "lam without divergence": table(HAND, "--lam", "divergence", sizes=(*SIZES, "--lam", "1")),
    "divergence without lam": table("candidate,a,b,divergence\nA,1,0,1\nB,0,1,2\n", "--lam",
                                    "not given"),
    "lam negative": table(HAND, "--lam", ">= 0", sizes=(*SIZES, "--lam", "-1")),
    "prompt lacks a candidate": table(PROMPTS, "'q'", "B", sizes=("--sizes", "a=1")),
    "sample table without lam": table("prompt,sample,a\np,0,1\np,1,2\n", "--lam", "not given",
                                      sizes=("--sizes", "a=1")),
    "sample twice": table("prompt,sample,a\np,0,1\np,0,2\n", "row 2", "comes twice",
                          sizes=("--sizes", "a=1", "--lam", "1")),
    "constant samples": table("prompt,sample,a\np,0,1\np,1,1\n", "all samples", "min-max",
                              sizes=("--sizes", "a=1", "--lam", "1")),
    "huge numbers": table(HAND.replace("0.6", "1e308").replace(",1,", ",-1e308,"), "values[0, 0]",
                          sizes=("--sizes", "a=1e300,b=1e300", "--normalization", "none")),
    "unknown columns": table("model,x\nA,1\n", "no reader knows", "--candidate",
                             sizes=("--sizes", "x=1")),
    "unknown candidate column": table("model,x\nA,1\n", "--candidate", "choose from model, x",
                                      sizes=("--sizes", "x=1", "--candidate", "y")),
    "unknown format": table(HAND, "--format", "must be one of", sizes=(*SIZES, "--format", "xls")),
    "two formats": ({"t.csv": HAND, "u.csv": "prompt,sample,a\np,0,1\n"}, SIZES,
                    ("u.csv", "one format at a time")),
    "json cut off": table(VERL + VERL[:30], "t.jsonl", "JSON", name="t.jsonl",
                          sizes=("--sizes", "a=1", "--lam", "1")),
    "json of numbers": table("[1, 2]", "objects", name="t.json", sizes=("--sizes", "a=1")),
    "aggregate as a group": table(VERL, "score", "aggregates", name="t.jsonl",
                                  sizes=("--sizes", "score=1", "--lam", "1")),
    "filters repeat rows": ({"m/samples_t_2026.jsonl": "\n".join(map(json.dumps, LM))},
                            ("--sizes", "t_2026=1"), ("--filter", "comes twice")),
    "error column as a group": table(",win_rate,standard_error,avg_length\nm,1,2,3\nn,2,3,4\n",
                                     "standard_error", "error of a win rate",
                                     sizes=("--sizes", "standard_error=1")),
    "file for a group lacks": table('{"scores_chosen": 1, "scores_rejected": 2}', "no file bears",
                                    name="t.json", sizes=("--sizes", "u=1", "--lam", "1")),
    "unknown aspect": table('{"instruction": "x", "completions": []}', "no aspect", name="t.jsonl",
                            sizes=("--sizes", "wit=1", "--lam", "1")),
    "nothing to price": table('{"instruction": "x", "completions": []}', "no rows", name="t.jsonl",
                              sizes=("--sizes", "honesty=1", "--lam", "1")),
}  # fmt: skip
