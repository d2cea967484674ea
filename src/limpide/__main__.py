"""`python -m limpide` is `limpide`."""

from limpide.cli import main

main()
