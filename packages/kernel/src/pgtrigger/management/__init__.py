"""``manage.py pgtrigger``."""
