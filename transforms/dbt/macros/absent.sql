{#
  A source that a later version of the platform makes: while it is absent, an empty relation of these columns and types
  stands for it; when it appears, the same columns are read from it, cast. The views on it are made again in every run.
  The catalog is asked, not to_regclass: that one refuses where the schema may not be used.
#}
{% macro present_or_empty(source_name, table_name, columns) -%}
    {%- set relation = source(source_name, table_name) -%}
    {%- set present = false -%}
    {%- if execute -%}
        {%- set found = run_query(
            "select 1 from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace"
            ~ " where n.nspname = " ~ literal(relation.schema) ~ " and c.relname = " ~ literal(relation.identifier)
            ~ " and c.relkind in ('r', 'p', 'v', 'm', 'f')"
        ) -%}
        {%- set present = found.rows | length > 0 -%}
    {%- endif -%}
    (
        select
        {%- for name, type in columns.items() %}
            {{ name if present else 'null' }}::{{ type }} as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
        {% if present -%} from {{ relation }} {%- else -%} where false {%- endif %}
    )
{%- endmacro %}
