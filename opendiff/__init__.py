"""Open data -> conditions -> an ensemble of hourly mobile traffic.

The modules are imported one by one (`from opendiff.area import read_area`), so that a command which needs only
geometry does not wait for torch.
"""

__version__ = "0.1.0"
