"""UpdateSearchVector fills a search vector from the other columns of its row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

from django.db import models

import pgtrigger
from pgtrigger import sql
from pgtrigger.clauses import Operation, When
from pgtrigger.columns import columns_of, concrete_field, is_generated
from pgtrigger.conditions import Combined, Condition
from pgtrigger.declaration import Model
from pgtrigger.errors import DeclarationError
from pgtrigger_search import vectors
from pgtrigger_search.vectors import Document


class UpdateSearchVector(pgtrigger.Trigger):
    """Fill a search vector when a row is added, and whenever one of its documents changes.

    An update that changes neither a document, nor the configuration, nor the vector calls no
    function: the ``WHEN`` clause decides.

    Args (besides those of `pgtrigger.Trigger`):
        vector_field: the name of the ``SearchVectorField``. What is written to it by other hands
            is put right.
        document_fields: the names of the fields that go into it; or their weights, ``"A"`` to
            ``"D"``, by name. NULL counts as empty. Arrays count by their items, JSON by its
            strings and numbers, everything else as its text.
        config_name: the text search configuration, with its schema, as SQL writes it.
        config_field: the name of a field that holds the configuration of each row, as text or as
            ``regconfig``. Text without a schema means ``pg_catalog``; NULL and the empty text
            mean ``config_name``.
        unaccent: whether to take accents away first, by the extension of that name.
        condition: which rows to keep up to date; all by default.

    Raises:
        DeclarationError: no ``vector_field`` or ``document_fields``, a weight that is none, a
            configuration without schema.

    Raises (when the trigger is compiled or checked):
        FieldLookupError: a field that the model does not have.
        DeclarationError: a generated column, which has no value yet when the trigger fires.

    Example::

        pgtrigger.UpdateSearchVector(
            name="search",
            vector_field="vector",
            document_fields={"title": "A", "body": "B"},
        )

    PostgreSQL manual: "Text Search Features", triggers for automatic updates.
    Django manual: "Full text search".
    """

    when: When | None = pgtrigger.Before
    operation: Operation | None = pgtrigger.Insert | pgtrigger.Update
    vector_field: str | None = None
    document_fields: Mapping[str, str] | Iterable[str] | None = None
    config_name: str = "pg_catalog.english"
    config_field: str | None = None
    unaccent: bool = False

    def __init__(
        self,
        *,
        vector_field: str | None = None,
        document_fields: Mapping[str, str] | Iterable[str] | None = None,
        config_name: str | None = None,
        config_field: str | None = None,
        unaccent: bool | None = None,
        **kwargs: Unpack[pgtrigger.TriggerArguments],
    ) -> None:
        self.vector_field = vector_field or self.vector_field
        documents = document_fields or self.document_fields
        if not isinstance(documents, Mapping | str | None):
            documents = [*documents]
        self.document_fields = documents
        self.config_name = config_name or self.config_name
        self.config_field = config_field or self.config_field
        self.unaccent = self.unaccent if unaccent is None else unaccent
        kind = type(self).__name__
        if not self.vector_field:
            raise DeclarationError(
                f'{kind} must provide "vector_field": the name of the SearchVectorField to fill.'
            )
        if not self.document_fields:
            raise DeclarationError(
                f'{kind} must provide "document_fields": the names of the fields to search in.'
            )
        super().__init__(**kwargs)

    def validate(self) -> None:
        super().validate()
        self._validate_documents()
        self._configuration_name()
        assert self.operation is not None
        if self.level not in (None, pgtrigger.Row) or self.when != pgtrigger.Before or self.func:
            raise self.refused(
                'it fires before each row, with a function of its own; leave out "level", "when" '
                'and "func"'
            )
        if others := self.operation.names - {"INSERT", "UPDATE"}:
            raise self.refused(
                f"a row has no vector to fill on {', '.join(sorted(others))}; its operations are "
                f"pgtrigger.Insert and pgtrigger.Update"
            )

    def _validate_documents(self) -> None:
        fields = self.document_fields
        assert fields is not None
        if isinstance(fields, str):
            raise self.refused(f'"document_fields" is a list of names, not the text {fields!r}')
        names = [*fields]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise self.refused(f'"document_fields" names {", ".join(repeated)} more than once')
        for name, weight in vectors.weighted(fields).items():
            if weight not in vectors.WEIGHTS:
                raise self.refused(
                    f'the weight of "{name}" is {weight!r}; it can be one of '
                    f"{', '.join(vectors.WEIGHTS)}"
                )

    def _configuration_name(self) -> str:
        parts = [*sql.tokens(self.config_name)]
        if [part.text if part.kind == "other" else "" for part in parts] == ["", ".", ""] and {
            parts[0].kind,
            parts[2].kind,
        } <= {"word", "quoted"}:
            return self.config_name
        raise self.refused(
            f"the text search configuration {self.config_name!r} is not a name with its schema, "
            f'such as "pg_catalog.english", which means the same on every search path; write '
            f"names that need quotes as SQL does"
        )

    def _field(self, model: Model, name: str) -> models.Field[Any, Any]:
        field = concrete_field(model, name)
        if is_generated(field):
            raise self.refused(
                f'"{field.name}" is a generated column, which Postgres computes only after '
                f"triggers with pgtrigger.Before have run; name the fields that it is made of",
                model,
            )
        return field

    def get_vector_field(self, model: Model) -> models.Field[Any, Any]:
        """The field of a model that the trigger fills."""
        assert self.vector_field is not None
        return self._field(model, self.vector_field)

    def get_documents(self, model: Model) -> list[Document]:
        """The fields of a model that go into the vector."""
        assert self.document_fields is not None
        documents = [
            Document(self._field(model, name), weight)
            for name, weight in vectors.weighted(self.document_fields).items()
        ]
        if any(document.field == self.get_vector_field(model) for document in documents):
            raise self.refused(
                f'"{self.vector_field}" is to be filled, so it cannot be a document', model
            )
        return documents

    def get_configuration(self, model: Model, row: str) -> str:
        """The SQL expression of the text search configuration, on the columns of ``row``."""
        default = vectors.configuration_literal(self._configuration_name())
        if self.config_field is None:
            return default
        return vectors.configuration_of_row(self._field(model, self.config_field), row, default)

    def get_vector(self, model: Model, row: str) -> str:
        """The SQL expression of the right vector, on the columns of ``row``."""
        return vectors.vector(
            self.get_documents(model),
            row,
            self.get_configuration(model, row),
            vectors.UNACCENT_DICTIONARY if self.unaccent else None,
        )

    def get_condition_for(self, model: Model, operation: str) -> Condition | None:
        """Rows that are added always; updated ones when something that matters has changed."""
        condition = self.get_condition(model)
        if operation == "INSERT":
            return condition
        fields = [document.field.name for document in self.get_documents(model)]
        if self.config_field is not None:
            fields.append(self._field(model, self.config_field).name)
        fields.append(self.get_vector_field(model).name)
        if condition is None:
            return pgtrigger.AnyChange(*fields)
        # A row may come under the condition without any change of its documents.
        read = sql.row_columns(condition.resolve(model), "NEW")
        fields += [field.name for field in columns_of(model) if field.column in read or "*" in read]
        return Combined("AND", pgtrigger.AnyChange(*fields), condition)

    def get_declare(self, model: Model) -> Iterable[tuple[str, str]]:
        declared = [*super().get_declare(model)]
        if self.config_field is not None:
            declared.append(("configuration", "pg_catalog.regconfig"))
        if self.unaccent:
            declared.append(("dictionary", "pg_catalog.regdictionary"))
        return declared

    def get_func(self, model: Model) -> str:
        statements = []
        configuration, dictionary = self.get_configuration(model, "NEW"), None
        if self.config_field is not None:
            statements.append(f"configuration := {configuration};")
            configuration = "configuration"
        if self.unaccent:
            dictionary = "dictionary"
            statements.append(
                f"dictionary := {vectors.UNACCENT_DICTIONARY};\n"
                f"IF dictionary IS NULL THEN\n"
                f"RAISE EXCEPTION USING ERRCODE = 'undefined_object',\n"
                f"MESSAGE = {sql.string(vectors.UNACCENT_MISSING)},\n"
                f"HINT = {sql.string(vectors.UNACCENT_HINT)};\n"
                f"END IF;"
            )
        column = sql.quote(str(self.get_vector_field(model).column))
        value = vectors.vector(self.get_documents(model), "NEW", configuration, dictionary)
        return "\n".join([*statements, f"NEW.{column} := {value};", "RETURN NEW;"])
