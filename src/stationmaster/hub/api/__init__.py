"""The REST API: a module per resource (parse, call a service, answer) and the frame that all of them share."""
