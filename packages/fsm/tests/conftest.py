from shop.fixtures import autocommit_live as autocommit_live
from shop.fixtures import committed as committed
from shop.fixtures import declared as declared
from shop.fixtures import live as live
