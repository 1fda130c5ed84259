"""HAProxy and keepalived in front of a group: what they are told, and keeping a real HAProxy in step with the hub."""
