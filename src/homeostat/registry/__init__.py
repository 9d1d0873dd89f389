"""Models: packaged, versioned, judged by gates, and pointed at by aliases."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.registry.aliases import delete_alias as delete_alias
    from homeostat.registry.aliases import set_alias as set_alias
    from homeostat.registry.approvals import approve as approve
    from homeostat.registry.approvals import list_requests as list_requests
    from homeostat.registry.approvals import list_rules as list_rules
    from homeostat.registry.approvals import reject as reject
    from homeostat.registry.approvals import request_alias as request_alias
    from homeostat.registry.approvals import set_rule as set_rule
    from homeostat.registry.catboost_form import answer_of_catboost as answer_of_catboost
    from homeostat.registry.catboost_form import load_catboost as load_catboost
    from homeostat.registry.chronicle import alias_history as alias_history
    from homeostat.registry.chronicle import history as history
    from homeostat.registry.chronicle import verify_history as verify_history
    from homeostat.registry.declared import versions_with as versions_with
    from homeostat.registry.diff import diff_versions as diff_versions
    from homeostat.registry.environment import split_requirement as split_requirement
    from homeostat.registry.files import fetch as fetch
    from homeostat.registry.files import list_files as list_files
    from homeostat.registry.files import put_package as put_package
    from homeostat.registry.files import read_file as read_file
    from homeostat.registry.files import upload as upload
    from homeostat.registry.gates import record_gates as record_gates
    from homeostat.registry.importing import import_folder as import_folder
    from homeostat.registry.layouts.building import build_package as build_package
    from homeostat.registry.layouts.found import FoundModel as FoundModel
    from homeostat.registry.layouts.reading import read_layout as read_layout
    from homeostat.registry.lifecycle import delete_version as delete_version
    from homeostat.registry.lifecycle import restore_version as restore_version
    from homeostat.registry.lifecycle import set_stage as set_stage
    from homeostat.registry.loading import LoadedModel as LoadedModel
    from homeostat.registry.loading import fetched_package as fetched_package
    from homeostat.registry.loading import load_model as load_model
    from homeostat.registry.loading import load_package as load_package
    from homeostat.registry.loading import sample_of as sample_of
    from homeostat.registry.mlmodel import ModelParameter as ModelParameter
    from homeostat.registry.mlmodel import read_asks as read_asks
    from homeostat.registry.model import AliasMove as AliasMove
    from homeostat.registry.model import AliasRequest as AliasRequest
    from homeostat.registry.model import ApprovalRule as ApprovalRule
    from homeostat.registry.model import DataVersion as DataVersion
    from homeostat.registry.model import Field as Field
    from homeostat.registry.model import GateResult as GateResult
    from homeostat.registry.model import HistoryEntry as HistoryEntry
    from homeostat.registry.model import Model as Model
    from homeostat.registry.model import ModelVersion as ModelVersion
    from homeostat.registry.model import OnnxReport as OnnxReport
    from homeostat.registry.model import Package as Package
    from homeostat.registry.model import Signature as Signature
    from homeostat.registry.model import VersionDiff as VersionDiff
    from homeostat.registry.models import annotate as annotate
    from homeostat.registry.models import create_model as create_model
    from homeostat.registry.models import delete_model as delete_model
    from homeostat.registry.models import delete_tag as delete_tag
    from homeostat.registry.models import get_model as get_model
    from homeostat.registry.models import list_models as list_models
    from homeostat.registry.models import rename_model as rename_model
    from homeostat.registry.models import restore_model as restore_model
    from homeostat.registry.moving import ModelsImported as ModelsImported
    from homeostat.registry.moving import import_models as import_models
    from homeostat.registry.moving_out import ModelsExported as ModelsExported
    from homeostat.registry.moving_out import export_models as export_models
    from homeostat.registry.origin import made_here as made_here
    from homeostat.registry.packaging import log_model as log_model
    from homeostat.registry.packaging import package_model as package_model
    from homeostat.registry.sources import register_source as register_source
    from homeostat.registry.versions import get_version as get_version
    from homeostat.registry.versions import list_versions as list_versions
    from homeostat.registry.versions import register as register

__getattr__, __dir__ = door(__name__)
