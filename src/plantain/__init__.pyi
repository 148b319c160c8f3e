from plantain.api import load as load
from plantain.api import results as results

__version__: str
