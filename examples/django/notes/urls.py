"""The pages of the project."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.home),
    path("boards/<slug:board>", views.board),
    path("boards/<slug:board>/notes", views.pin),
]
