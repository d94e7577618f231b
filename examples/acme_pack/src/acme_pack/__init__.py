"""Parts for pmrun by Acme: a pricing rule, a check and a strategy."""
