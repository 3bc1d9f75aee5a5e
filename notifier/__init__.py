"""Takes Alertmanager's webhooks in and never loses one."""
