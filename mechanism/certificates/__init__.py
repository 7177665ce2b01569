"""Certificates: signs beyond rounding by ball arithmetic, steps of proofs by an SMT solver."""
