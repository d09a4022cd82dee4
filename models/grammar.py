"""What conditions and amounts are made of: the parts of SQL's grammar that are taken."""

from typing import NamedTuple

from sqlglot import exp

OPERATORS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
}
MIRRORED = {"=": "=", "<>": "<>", ">": "<", ">=": "<=", "<": ">", "<=": ">="}
ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
PARTS = {"this", "expression", "expressions", "low", "high", "is_string", "quoted", "typed", "safe"}
"""The arguments of parsed nodes that are taken: others, such as the schema of a name, change a meaning."""


class Grammar(NamedTuple):
    """What a kind of text is called, and what it is made of."""

    name: str
    parts: str

    @property
    def rule(self) -> str:
        """What is said to who wrote something else."""
        return f"{self.name} is made of {self.parts}"


CONDITION = Grammar(
    "a condition",
    "columns, numbers, 'text', comparisons, and, or, not, in, between, is null, + - * /, coalesce, "
    "top(column, share), bottom(column, share) and brings(column, share)",
)
AMOUNT = Grammar("an amount", "columns, numbers, + - * / and coalesce")
