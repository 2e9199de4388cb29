"""Who may do what in the web application: sign-in, sessions, and one table of rules for every route."""
