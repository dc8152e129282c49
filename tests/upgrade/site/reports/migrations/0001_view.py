"""Written by hand: a view, the table it shows, and the model on it.

The old package writes no migrations for the triggers of unmanaged models, so this one is managed.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.RunSQL(
            """
            CREATE TABLE reports_row (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
            CREATE VIEW reports_view AS SELECT DISTINCT id, text FROM reports_row;
            """,
            "DROP VIEW reports_view; DROP TABLE reports_row;",
            state_operations=[
                migrations.CreateModel(
                    name="Report",
                    fields=[
                        ("id", models.IntegerField(primary_key=True)),
                        ("text", models.TextField()),
                    ],
                    options={"db_table": "reports_view"},
                )
            ],
        ),
    ]
