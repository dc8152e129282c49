from django.apps import AppConfig


class DepotConfig(AppConfig):
    name = "reliability.depot"
    label = "depot"
