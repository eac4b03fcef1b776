"""The simplification rules, by subject; ``ir.simplify`` applies them."""
