{#
  How a mart is written: the first time whole, afterwards the windows of the run are deleted and inserted in one
  transaction, straight from the query (dbt's own way writes each row twice, by a temporary table). A mart whose columns
  are no longer those of its contract, as an upgrade leaves it, is built again whole.
#}
{% materialization incremental, adapter='postgres' %}
    {% set existing_relation = load_cached_relation(this) %}
    {% set target_relation = this.incorporate(type='table') %}
    {% set grant_config = config.get('grants') %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if is_kept(this) %}
        {% call statement('main') %}
            {{ get_assert_columns_equivalent(sql) }}
            {{ replace_windows_sql(target_relation, sql) }}
        {% endcall %}
        {% do apply_grants(target_relation, grant_config, should_revoke=true) %}
    {% else %}
        {% if existing_relation is not none %}
            {% do run_query('drop ' ~ existing_relation.type ~ ' ' ~ existing_relation ~ ' cascade') %}
        {% endif %}
        {% call statement('main') %}
            {{ get_create_table_as_sql(False, target_relation, sql) }}
        {% endcall %}
        {% do apply_grants(target_relation, grant_config, should_revoke=false) %}
        {% do persist_docs(target_relation, model) %}
    {% endif %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# Whether the table stays and only its windows are written: it is there, with the columns and types of the contract. #}
{% macro is_kept(relation) %}
    {% if not execute or should_full_refresh() %}
        {% do return(false) %}
    {% endif %}
    {% set existing = load_cached_relation(relation) %}
    {% if existing is none or existing.type != 'table' %}
        {% do return(false) %}
    {% endif %}
    {% set found = adapter.get_columns_in_relation(existing) %}
    {% do return(
        found | map(attribute='name') | list == model.columns.keys() | list
        and found | map(attribute='dtype') | list == model.columns.values() | map(attribute='data_type') | list
    ) %}
{% endmacro %}

{% macro replace_windows_sql(target, sql) %}
    {% set columns = get_quoted_csv(model.columns.keys()) %}
    {% set window = model.config.meta.window %}
    {% if not is_windowed() %}
    delete from {{ target }};
    {% elif window.get('whole') == 'instrument' %}
    delete from {{ target }} {{ of_the_instrument() }};
    {% else %}
    {% for row in windows() + gone_from(target) %}
    delete from {{ target }} where {{ is_series(row) }}
    {%- if row.since is not none %} and {{ window.column }} {{ '>' if window.get('grain', 'ts') == 'ts' else '>=' }} {{ literal(row.since) }}{% endif %};
    {% endfor %}
    {% endif %}
    insert into {{ target }} ({{ columns }}) select {{ columns }} from ({{ sql }}) as rows_of_the_run;
{% endmacro %}

{#
  Statistics of a mart that was just written: always of a new one and while it is small, which makes its row count
  exact. A window changes little of a large one, and looking at it takes longer than the window: autovacuum does that.
#}
{% macro analyze_while_small(relation) %}
    {%- if execute -%}
        {%- set rows = run_query(
            "select reltuples from pg_catalog.pg_class where oid = '" ~ relation ~ "'::regclass"
        ).rows[0][0] -%}
        {%- if rows < 100000 -%} analyze {{ relation }} {%- endif -%}
    {%- endif -%}
{% endmacro %}
