"""The settings of the project: as short as they can be, and for no public server."""

SECRET_KEY = "for this example alone"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "notes.urls"
INSTALLED_APPS = ["notes"]
MIDDLEWARE = ["django.middleware.csrf.CsrfViewMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

CHANNEL_LAYERS = {"default": {"BACKEND": "glyph_fast.channels.Layer"}}
