"""Serving: models behind stable HTTP endpoints, versions routed by weight, every prediction logged."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.serving.arms import shared_answers as shared_answers
    from homeostat.serving.bandit import BanditPolicy as BanditPolicy
    from homeostat.serving.bandits import bandit_arms as bandit_arms
    from homeostat.serving.bandits import review_bandits as review_bandits
    from homeostat.serving.bandits import start_bandit as start_bandit
    from homeostat.serving.canary import CanaryPolicy as CanaryPolicy
    from homeostat.serving.canary import Judgement as Judgement
    from homeostat.serving.client import PredictionClient as PredictionClient
    from homeostat.serving.deployments import configure as configure
    from homeostat.serving.deployments import deploy as deploy
    from homeostat.serving.deployments import deployment_history as deployment_history
    from homeostat.serving.deployments import get_deployment as get_deployment
    from homeostat.serving.deployments import list_deployments as list_deployments
    from homeostat.serving.deployments import redacted_inputs as redacted_inputs
    from homeostat.serving.deployments import rollback as rollback
    from homeostat.serving.deployments import set_routes as set_routes
    from homeostat.serving.deployments import undeploy as undeploy
    from homeostat.serving.environments import Environment as Environment
    from homeostat.serving.feedback import record_feedback as record_feedback
    from homeostat.serving.feedback import record_truth as record_truth
    from homeostat.serving.graph_deployments import DeclaredGraph as DeclaredGraph
    from homeostat.serving.graph_deployments import deploy_graph as deploy_graph
    from homeostat.serving.graph_deployments import get_graph as get_graph
    from homeostat.serving.graphs.nodes import Case as Case
    from homeostat.serving.graphs.nodes import Ensemble as Ensemble
    from homeostat.serving.graphs.nodes import Lookup as Lookup
    from homeostat.serving.graphs.nodes import Member as Member
    from homeostat.serving.graphs.nodes import Sequence as Sequence
    from homeostat.serving.graphs.nodes import Share as Share
    from homeostat.serving.graphs.nodes import Splitter as Splitter
    from homeostat.serving.graphs.nodes import Switch as Switch
    from homeostat.serving.graphs.nodes import When as When
    from homeostat.serving.kept_environments import KeptEnvironment as KeptEnvironment
    from homeostat.serving.kept_environments import erase_environment as erase_environment
    from homeostat.serving.kept_environments import list_environments as list_environments
    from homeostat.serving.lately import graph_traffic as graph_traffic
    from homeostat.serving.lately import traffic as traffic
    from homeostat.serving.model import Bandit as Bandit
    from homeostat.serving.model import BanditArm as BanditArm
    from homeostat.serving.model import BanditReview as BanditReview
    from homeostat.serving.model import Canary as Canary
    from homeostat.serving.model import CanaryReview as CanaryReview
    from homeostat.serving.model import CanaryStep as CanaryStep
    from homeostat.serving.model import Comparison as Comparison
    from homeostat.serving.model import Deployment as Deployment
    from homeostat.serving.model import DeploymentChange as DeploymentChange
    from homeostat.serving.model import DeploymentChanged as DeploymentChanged
    from homeostat.serving.model import DifferentAnswer as DifferentAnswer
    from homeostat.serving.model import Endpoint as Endpoint
    from homeostat.serving.model import Feedback as Feedback
    from homeostat.serving.model import FoldResult as FoldResult
    from homeostat.serving.model import GraphTraffic as GraphTraffic
    from homeostat.serving.model import LoggedAnswer as LoggedAnswer
    from homeostat.serving.model import NodeTraffic as NodeTraffic
    from homeostat.serving.model import OutputDifference as OutputDifference
    from homeostat.serving.model import Route as Route
    from homeostat.serving.model import ServingState as ServingState
    from homeostat.serving.model import ShadowComparison as ShadowComparison
    from homeostat.serving.model import Traffic as Traffic
    from homeostat.serving.model import TrafficPoint as TrafficPoint
    from homeostat.serving.model import VersionTraffic as VersionTraffic
    from homeostat.serving.model_server import serve_folder as serve_folder
    from homeostat.serving.one_request import logged_request as logged_request
    from homeostat.serving.own_environment import create_environment as create_environment
    from homeostat.serving.planes import endpoint as endpoint
    from homeostat.serving.planes import states as states
    from homeostat.serving.planes import wait_ready as wait_ready
    from homeostat.serving.prediction_table import count_predictions as count_predictions
    from homeostat.serving.prediction_table import fold as fold
    from homeostat.serving.prediction_table import predictions as predictions
    from homeostat.serving.reviews import review_due as review_due
    from homeostat.serving.rollouts import compare as compare
    from homeostat.serving.rollouts import judge_canary as judge_canary
    from homeostat.serving.rollouts import review_canaries as review_canaries
    from homeostat.serving.rollouts import start_canary as start_canary
    from homeostat.serving.shadow_comparison import compare_shadow as compare_shadow
    from homeostat.serving.shipping.manifests import Manifest as Manifest
    from homeostat.serving.shipping.manifests import manifests as manifests
    from homeostat.serving.shipping.on_ray import RayApplication as RayApplication
    from homeostat.serving.shipping.on_ray import deploy_on_ray as deploy_on_ray
    from homeostat.serving.shipping.on_ray import remove_from_ray as remove_from_ray
    from homeostat.serving.shipping.packaging import Image as Image
    from homeostat.serving.shipping.packaging import package_image as package_image
    from homeostat.serving.supervisor import Supervisor as Supervisor

__getattr__, __dir__ = door(__name__)
