"""Any dashboard of dashboards/json, Grafana's classic JSON, as a page without Grafana.

Down the layers: `routes` answers browsers, `service` keeps answers for some seconds, `page` puts one dashboard together, `panel` and
`draw_*` make what each type of panel shows, `fields` finds words and colours, `frames` and `transform` hold results, `ask` queries
Prometheus. The browser gets words, numbers and colours; it never sends PromQL.
"""
