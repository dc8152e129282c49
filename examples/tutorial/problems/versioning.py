"""Two people write at once, and one text is lost."""

from problems.step import Problem, Step

ADA = "UPDATE store_article SET text = 'Reading on Friday.', version = 1 WHERE id = 1"
BEN = "UPDATE store_article SET text = 'Closed on Monday.', version = 1 WHERE id = 1"

PROBLEM = Problem(
    title="Versioning",
    page="versioning.md",
    rows="""
        INSERT INTO store_article (title, text, version)
        VALUES ('News', 'Nothing yet.', 1), ('About us', 'A bookshop.', 1);
    """,
    tables=("store_article",),
    steps=(
        Step(
            title="The last one wins",
            text=(
                "Ada and Ben open the same article in version 1, and both save. Django's save() "
                "writes all columns, as they were when the object was read. This is what it sends:"
            ),
            goal="Have Ben write over what Ada wrote.",
            suggestions=(ADA, BEN, "SELECT * FROM store_article ORDER BY id"),
            hint="First Ada's UPDATE, then Ben's. Type `try` for each.",
            holds="SELECT text LIKE 'Closed%' AND version = 1 FROM store_article WHERE id = 1",
            triggers=False,
        ),
        Step(
            title="Whoever is late is told",
            text=(
                "Two triggers. version counts each change, by assigning to NEW. refuse_stale "
                "compares the version that comes in with the stored one. They fire in the order "
                "of their names."
            ),
            goal="Have Ada's text stored, and Ben's refused.",
            suggestions=(ADA, BEN, "SELECT * FROM store_article ORDER BY id"),
            hint="The same two statements.",
            refused_by="store.Article:refuse_stale",
            holds="SELECT text LIKE 'Reading%' AND version = 2 FROM store_article WHERE id = 1",
            declares=("Article",),
        ),
        Step(
            title="Counting by itself",
            text=(
                "A statement that does not name the version leaves it to the trigger. One that "
                "changes nothing does not count."
            ),
            goal="Have both articles in version 2 or later, without writing a version.",
            suggestions=(
                "UPDATE store_article SET title = upper(title)",
                "UPDATE store_article SET title = upper(title)",
                "SELECT * FROM store_article ORDER BY id",
            ),
            hint="Change any column of both rows.",
            holds="SELECT count(*) = 2 AND min(version) >= 2 FROM store_article",
        ),
        Step(
            title="An exception",
            text="An import from another system brings versions along.",
            goal="Write version 12 into an article.",
            suggestions=(
                ">>> Article.objects.filter(id=1).update(version=12)",
                (
                    ">>> with pgtrigger.ignore(model=Article): "
                    "Article.objects.filter(id=1).update(version=12)"
                ),
            ),
            hint="pgtrigger.ignore(model=Article) means all triggers of the model.",
            holds="SELECT EXISTS (SELECT FROM store_article WHERE version = 12)",
        ),
    ),
)
