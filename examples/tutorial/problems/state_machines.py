"""An order is shipped that nobody paid."""

from problems.step import Problem, Step

SHIP = "UPDATE store_order SET status = 'shipped' WHERE number = 'O-1'"
SHIPPED = "SELECT EXISTS (SELECT FROM store_order WHERE number = 'O-1' AND status = 'shipped')"

PROBLEM = Problem(
    title="State machines",
    page="state-machines.md",
    rows="""
        INSERT INTO store_order (number, total, status)
        VALUES ('O-1', 30, 'draft'), ('O-2', 20, 'draft');
    """,
    tables=("store_order",),
    steps=(
        Step(
            title="Any state will do",
            text=(
                "An order is placed, then paid, then shipped. Order.ship() in Python looks after "
                "that. The warehouse has a script of its own, which says:"
            ),
            goal="Ship the order O-1, which nobody has paid.",
            suggestions=(SHIP,),
            hint="Set its status to 'shipped'. There is no trigger yet.",
            holds=SHIPPED,
            triggers=False,
        ),
        Step(
            title="Only along the arrows",
            text="FSM lists the transitions. What is not listed is refused.",
            goal="Be refused by the state machine.",
            suggestions=(
                SHIP,
                "INSERT INTO store_order (number, total, status) VALUES ('O-3', 5, 'paid')",
            ),
            hint="The same UPDATE as before. An order cannot begin as a paid one either.",
            refused_by="store.Order:status",
            declares=("Order",),
        ),
        Step(
            title="The way that is open",
            text="The order goes from state to state, in statements of their own.",
            goal="Have the order O-1 shipped, as it should be.",
            suggestions=(
                "UPDATE store_order SET status = 'placed' WHERE number = 'O-1'",
                "UPDATE store_order SET status = 'paid' WHERE number = 'O-1'",
                SHIP,
            ),
            hint="draft, placed, paid, shipped.",
            holds=SHIPPED,
        ),
        Step(
            title="The same in Python",
            text=(
                "A page that offers buttons asks for the open transitions. They come from the "
                "same declaration. Cancel O-2 by one of them."
            ),
            goal="Have the order O-2 cancelled.",
            suggestions=(
                '>>> order = Order.objects.get(number="O-2")',
                ">>> [found.target for found in available_transitions(order)]",
                '>>> make_transition(order, to="cancelled")',
            ),
            hint='make_transition(order, to="cancelled")',
            holds=(
                "SELECT EXISTS (SELECT FROM store_order"
                " WHERE number = 'O-2' AND status = 'cancelled')"
            ),
        ),
    ),
)
