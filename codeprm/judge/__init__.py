"""Deciding what became of a program: outputs are compared here, outside of the sandbox.

`compare` holds the rules, `verdict` turns the results of the tests into a Verdict, `grade` runs a
program on a problem's cases and judges it.
"""
