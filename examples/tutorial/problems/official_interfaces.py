"""The stock changes, and nobody knows why."""

from problems.step import Problem, Step

SELL = "UPDATE store_stock SET copies = copies - 1 WHERE title = 'Emma'"

PROBLEM = Problem(
    title="Official interfaces",
    page="official-interfaces.md",
    rows="""
        INSERT INTO store_stock (title, copies) VALUES ('Emma', 5), ('Persuasion', 2);
        INSERT INTO store_movement (title, copies, reason)
        VALUES ('Emma', 5, 'bought'), ('Persuasion', 2, 'bought');
    """,
    tables=("store_stock", "store_movement"),
    steps=(
        Step(
            title="A function that nobody has to call",
            text=(
                "The stock of a book changes only together with a movement that says why. A "
                "function move(title, copies, reason) does both. Not all code calls it."
            ),
            goal="Have a stock of Emma that the movements do not account for.",
            suggestions=(SELL,),
            hint="Change store_stock, and leave store_movement alone.",
            holds="""
                SELECT copies <> (SELECT sum(copies) FROM store_movement WHERE title = 'Emma')
                  FROM store_stock WHERE title = 'Emma'
            """,
            triggers=False,
        ),
        Step(
            title="No other way in",
            text=(
                "Protect refuses every write to the stock. The function ignores that trigger, "
                "with pgtrigger.ignore as a decorator."
            ),
            goal="Be refused by official, and read the hint.",
            suggestions=(SELL, '>>> Stock.objects.create(title="Mansfield Park", copies=1)'),
            hint="Change store_stock in any way.",
            refused_by="store.Stock:official",
            declares=("Stock", "move"),
        ),
        Step(
            title="The official way",
            text="The function is there in Python.",
            goal="Sell a copy of Emma, with a movement.",
            suggestions=(
                '>>> move("Emma", -1, "sold")',
                "SELECT * FROM store_stock ORDER BY id",
                "SELECT * FROM store_movement ORDER BY id",
            ),
            hint='>>> move("Emma", -1, "sold")',
            holds="""
                SELECT count(*) > 1
                       AND sum(copies) = (SELECT copies FROM store_stock WHERE title = 'Emma')
                  FROM store_movement WHERE title = 'Emma'
            """,
        ),
    ),
)
