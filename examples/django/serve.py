"""A Django project with Channels: consumers, groups and views, without Redis.

    cd examples/django
    pip install -r requirements.txt
    glyph-fast serve serve:server           # or --workers 4
    # then open http://127.0.0.1:8080/ twice

`notes/` is an application as Django and Channels document it: a view, a form, a consumer. What is
new stands here, in two lines, and in `settings.py`, where the channel layer is named.
"""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

from asgi import application

from glyph_fast import Server

server = Server()
server.mount("/", application)

if __name__ == "__main__":
    server.run()
