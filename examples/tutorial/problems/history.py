"""Who changed the prices?"""

from problems.step import Problem, Step

SALE = "UPDATE store_price SET cents = cents - 100"

PROBLEM = Problem(
    title="History",
    page="history.md",
    rows="""
        INSERT INTO store_price (title, cents)
        VALUES ('Emma', 900), ('Persuasion', 800), ('Mansfield Park', 950);
    """,
    tables=("store_price", "store_pricechange"),
    steps=(
        Step(
            title="A signal that is not sent",
            text=(
                "A pre_save signal logs each change of a price. The spring sale is a single "
                "UPDATE, for which Django sends no signal."
            ),
            goal="Change prices without a trace in store_pricechange.",
            suggestions=(SALE, "SELECT count(*) FROM store_pricechange"),
            hint="Any UPDATE does it. There is no trigger yet.",
            holds="""
                SELECT NOT EXISTS (SELECT FROM store_pricechange)
                       AND EXISTS (SELECT FROM store_price WHERE cents NOT IN (900, 800, 950))
            """,
            triggers=False,
        ),
        Step(
            title="One INSERT for each UPDATE",
            text=(
                "A trigger at statement level is called once, however many rows change. Composer "
                "gives it their old and new values as tables."
            ),
            goal="Have a log entry for each of the three prices.",
            suggestions=(
                SALE,
                "SELECT price_id, before, after, changed_by FROM store_pricechange",
            ),
            hint="The same UPDATE as before.",
            holds="SELECT count(DISTINCT price_id) = 3 FROM store_pricechange",
            declares=("Price",),
        ),
        Step(
            title="Who it was",
            text=(
                "Postgres does not know the users of a Django project. local_settings hands a "
                "value over; the trigger reads it by current_setting('store.user', true)."
            ),
            goal="Have a log entry that names a user.",
            suggestions=(
                '>>> with local_settings(store__user="ada"): Price.objects.update(cents=500)',
                "SELECT price_id, before, after, changed_by FROM store_pricechange",
            ),
            hint=">>> with local_settings(store__user=…): and a change, in one line.",
            holds="SELECT EXISTS (SELECT FROM store_pricechange WHERE changed_by <> '')",
        ),
        Step(
            title="The past stays",
            text="The log is append-only, so nobody tidies it up.",
            goal="Change a price, and be refused when you remove it from the log.",
            suggestions=(SALE, "DELETE FROM store_pricechange"),
            hint="The log has to hold a row before there is something to refuse.",
            refused_by="store.PriceChange:append_only",
            holds="SELECT EXISTS (SELECT FROM store_pricechange)",
            declares=("PriceChange",),
        ),
    ),
)
