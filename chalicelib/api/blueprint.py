"""The one blueprint on which all modules of routes put theirs."""

from chalice.app import Blueprint

routes = Blueprint(__name__)
