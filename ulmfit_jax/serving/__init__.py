"""A classifier as a local web page and a JSON API (`ulmfit serve`); needs the extra `serve`, and no network."""
