{#
  Views are replaced in place, not swapped: swapping would drop every view that reads them, of models that are not in
  this run too. Only a view whose columns were renamed or removed is dropped, with its readers, which are then built in
  the same run.
#}
{% materialization view, adapter='postgres' %}
    {% set target_relation = this.incorporate(type='view') %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement('main') %}
        do $tidemark$
        begin
            create or replace view {{ target_relation }} as (
                {{ sql }}
            );
        exception when invalid_table_definition then
            drop view {{ target_relation }} cascade;
            create view {{ target_relation }} as (
                {{ sql }}
            );
        end
        $tidemark$
    {% endcall %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
