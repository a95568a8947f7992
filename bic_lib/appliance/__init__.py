"""The appliance's side: one client over HTTPS, and how its reports become session documents."""
