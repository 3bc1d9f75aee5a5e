"""The wall page: the dashboards' JSON rendered from Prometheus."""
