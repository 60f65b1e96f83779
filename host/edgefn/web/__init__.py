"""HTTP: functions behind routes, keys, admin endpoints, health and metrics; one server for all of it."""
