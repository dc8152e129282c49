"""Paid invoices disappear."""

from problems.step import Problem, Step

DELETE = "DELETE FROM store_invoice WHERE total < 50"

PROBLEM = Problem(
    title="Protection",
    page="protection.md",
    rows="""
        INSERT INTO store_invoice (number, total, paid)
        VALUES ('A-1', 30, true), ('A-2', 20, false), ('A-3', 90, true);
        INSERT INTO store_cashentry (text, amount) VALUES ('Invoice A-1', 30);
    """,
    tables=("store_invoice", "store_cashentry"),
    steps=(
        Step(
            title="A rule in Python",
            text=(
                "The bookshop has to keep paid invoices. Say that Invoice.delete() in Python "
                "refuses to delete them. A queryset, raw SQL and psql do not call that method."
            ),
            goal="Delete the paid invoice A-1.",
            suggestions=(DELETE,),
            hint="Any DELETE that meets the row does it. There is no trigger yet.",
            holds="SELECT NOT EXISTS (SELECT FROM store_invoice WHERE number = 'A-1')",
            triggers=False,
        ),
        Step(
            title="A rule in the database",
            text=(
                "The invoice is back, and the model declares two triggers. Protect refuses "
                "operations on the rows that meet its condition. ReadOnly refuses to change "
                "columns. Send the same statement again."
            ),
            goal="Be refused by keep_paid.",
            suggestions=(DELETE, "SELECT * FROM store_invoice ORDER BY id"),
            hint="A statement is refused as a whole: A-2, which nobody paid, is still there, too.",
            refused_by="store.Invoice:keep_paid",
            holds="SELECT EXISTS (SELECT FROM store_invoice WHERE number = 'A-1')",
            declares=("Invoice",),
        ),
        Step(
            title="A column that stays",
            text="Everything about an invoice may change until it is paid, but never its number.",
            goal="Be refused by fixed_number.",
            suggestions=(
                "UPDATE store_invoice SET total = 25 WHERE number = 'A-2'",
                "UPDATE store_invoice SET number = 'B-2' WHERE number = 'A-2'",
            ),
            hint="Change the column number, of any row.",
            refused_by="store.Invoice:fixed_number",
        ),
        Step(
            title="A table that only grows",
            text=(
                "Nobody corrects the cash book: a wrong entry is followed by one that makes up "
                "for it. AppendOnly lets rows in, and refuses the rest."
            ),
            goal="Add an entry, and be refused by append_only.",
            suggestions=(
                "INSERT INTO store_cashentry (text, amount) VALUES ('Mistake in A-1', -3)",
                "UPDATE store_cashentry SET amount = 0",
                "TRUNCATE store_cashentry",
            ),
            hint="INSERT is allowed. UPDATE, DELETE and TRUNCATE are not.",
            refused_by="store.CashEntry:append_only",
            holds="SELECT count(*) > 1 FROM store_cashentry",
            declares=("CashEntry",),
        ),
        Step(
            title="An exception",
            text=(
                "Ten years later the invoice may go. The code that does it says so. A line after "
                ">>> is Python, with the models and pgtrigger at hand."
            ),
            goal="Delete the paid invoice A-1, though keep_paid is there.",
            suggestions=(
                '>>> Invoice.objects.get(number="A-1").delete()',
                (
                    '>>> with pgtrigger.ignore("store.Invoice:keep_paid"): '
                    'Invoice.objects.get(number="A-1").delete()'
                ),
            ),
            hint='with pgtrigger.ignore("store.Invoice:keep_paid"): …, all in one line.',
            holds="SELECT NOT EXISTS (SELECT FROM store_invoice WHERE number = 'A-1')",
        ),
    ),
)
