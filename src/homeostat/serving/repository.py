"""Load and unload through the protocol's repository calls: a deployment is made or ended, and waited for."""

from __future__ import annotations

import asyncio
from typing import Any

from homeostat.core.context import acting_as
from homeostat.core.errors import InvalidInput, NotFound, Unavailable
from homeostat.core.workspace import Workspace
from homeostat.serving.catalog import Catalog
from homeostat.serving.deployments import deploy, get_deployment, undeploy
from homeostat.serving.planes import wait_ready

_WAIT_S = 60.0


class Repository:
    """The registry and the deployments as a model repository. The coroutines run on the event loop."""

    def __init__(self, ws: Workspace, catalog: Catalog) -> None:
        self._ws = ws
        self._catalog = catalog

    async def load(self, model: str, parameters: dict[str, Any], actor: str) -> None:
        """Deploy the model's newest version, unless the model is deployed, and wait until it answers.

        Raises: NotFound for a model that is not registered; InvalidInput for models sent with the request; Unavailable
        when it cannot be loaded.
        """
        if parameters:
            raise InvalidInput(
                "a model is loaded as it was registered; 'config' and files cannot be sent along",
                hint="register a version, then deploy it",
            )
        await asyncio.to_thread(self._deploy, model, actor)

    async def unload(self, model: str, actor: str) -> None:
        """End the deployment and wait until this process has let go of it. Raises NotFound when there is none."""
        await asyncio.to_thread(self._undeploy, model, actor)
        try:
            async with asyncio.timeout(_WAIT_S):
                while model in self._catalog.models:
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise Unavailable(f"model '{model}' is not let go of after {_WAIT_S:g} s") from None

    def _deploy(self, model: str, actor: str) -> None:
        try:
            deployment = get_deployment(self._ws, model)
        except NotFound:
            with acting_as(actor):
                deployment = deploy(self._ws, model)
        wait_ready(self._ws, model, deployment.generation, _WAIT_S)

    def _undeploy(self, model: str, actor: str) -> None:
        with acting_as(actor):
            undeploy(self._ws, model)
