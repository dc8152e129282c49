"""A deleted book is missed later."""

from problems.step import Problem, Step

DELETE = "DELETE FROM store_book WHERE title = 'Emma'"

PROBLEM = Problem(
    title="Soft deletion",
    page="soft-deletion.md",
    rows="""
        INSERT INTO store_book (title, is_active)
        VALUES ('Emma', true), ('Persuasion', true), ('Typo', true);
    """,
    tables=("store_book",),
    steps=(
        Step(
            title="Gone is gone",
            text=(
                "A book that is out of print should stay in the table, with is_active = false. "
                "Book.delete() in Python does so; the admin's action and SQL do not call it."
            ),
            goal="Lose the row of Emma.",
            suggestions=(DELETE, "SELECT * FROM store_book ORDER BY id"),
            hint="A plain DELETE does it. There is no trigger yet.",
            holds="SELECT NOT EXISTS (SELECT FROM store_book WHERE title = 'Emma')",
            triggers=False,
        ),
        Step(
            title="Marked, not gone",
            text=(
                "SoftDelete turns each DELETE into an UPDATE of the field. Postgres reports 0 "
                "deleted rows, because it has deleted none."
            ),
            goal="Delete Emma, and find its row marked.",
            suggestions=(DELETE, "SELECT * FROM store_book ORDER BY id"),
            hint="The same DELETE as before.",
            holds=("SELECT EXISTS (SELECT FROM store_book WHERE title = 'Emma' AND NOT is_active)"),
            declares=("Book",),
        ),
        Step(
            title="And back",
            text=(
                "All books have been deleted. In Python, Book.objects shows live books, "
                "Book.objects.deleted() the others. restore() brings them back."
            ),
            goal="Have all three books alive again.",
            suggestions=(
                ">>> Book.objects.count(), Book.all_objects.count()",
                ">>> Book.objects.deleted().restore()",
                "SELECT * FROM store_book ORDER BY id",
            ),
            hint="An UPDATE of is_active does it, too.",
            holds="SELECT count(*) = 3 AND bool_and(is_active) FROM store_book",
            prepare="DELETE FROM store_book",
        ),
        Step(
            title="An exception",
            text="The third book is a typing error. It should not stay, not even marked.",
            goal="Really delete the book Typo.",
            suggestions=(
                (
                    '>>> with pgtrigger.ignore("store.Book:soft_delete"): '
                    'Book.objects.filter(title="Typo").delete()'
                ),
                "SELECT * FROM store_book ORDER BY id",
            ),
            hint='>>> Book.all_objects.filter(title="Typo").hard_delete() does it, too.',
            holds="SELECT NOT EXISTS (SELECT FROM store_book WHERE title = 'Typo')",
        ),
    ),
)
