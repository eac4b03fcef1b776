"""``Device``: the table of devices as users see it.

    >>> Device.DEFAULT
    'CPU'
    >>> Device["REFERENCE"]
    <REFERENCE>
"""

from __future__ import annotations

from collections.abc import Iterator

from runtime.device import Device as RuntimeDevice
from runtime.device import default_device_name, device_names, get_device
from runtime.errors import DeviceError


class DeviceTable:
    """Devices by name (case does not matter). ``DEFAULT`` may be assigned; it starts as TGL_DEVICE, else ``CPU``."""

    def __init__(self) -> None:
        self._default: str | None = None

    @property
    def DEFAULT(self) -> str:  # noqa: N802  # tinygrad's name
        """The name of the device on which tensors are made when none is given."""
        return self._default or default_device_name()

    @DEFAULT.setter
    def DEFAULT(self, name: str | None) -> None:  # noqa: N802
        self._default = None if name is None else self.canonicalize(name)

    def canonicalize(self, name: str | None) -> str:
        """The name in its one spelling; None is the default. Raises DeviceError for a name that is not known."""
        if name is None:
            return self.DEFAULT
        return get_device(name).name

    def __getitem__(self, name: str) -> RuntimeDevice:
        return get_device(name)

    @property
    def default(self) -> RuntimeDevice:
        """The default device itself."""
        return get_device(self.DEFAULT)

    def get_available_devices(self) -> Iterator[str]:
        """The names of the devices that can be used on this machine."""
        for name in device_names():
            try:
                yield get_device(name).name
            except DeviceError:
                continue

    def names(self) -> list[str]:
        """Every name that can be asked for, whether the device can be used on this machine or not."""
        return device_names()

    def synchronize(self) -> None:
        """Returns when the default device has finished everything that was started."""
        get_device(self.DEFAULT).synchronize()


Device = DeviceTable()
__all__ = ["Device", "DeviceTable"]
