{# The schemas are the platform's own names (migration 0004 made them), not prefixed by the profile's. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
