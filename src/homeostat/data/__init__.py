"""The data repository: versioned tables and file trees, connectors, cleaning, checks, profiles."""

from typing import TYPE_CHECKING

from homeostat.core.door import door

if TYPE_CHECKING:
    from homeostat.data.catalog import describe_table as describe_table
    from homeostat.data.catalog import get_table as get_table
    from homeostat.data.catalog import get_table_version as get_table_version
    from homeostat.data.catalog import list_tables as list_tables
    from homeostat.data.catalog import list_versions as list_versions
    from homeostat.data.catalog import profile_table as profile_table
    from homeostat.data.checks import check_table as check_table
    from homeostat.data.checks import get_expectations as get_expectations
    from homeostat.data.checks import set_expectations as set_expectations
    from homeostat.data.cleaning import clean as clean
    from homeostat.data.cleaning_rules import CleanRule as CleanRule
    from homeostat.data.cleaning_rules import DropDuplicates as DropDuplicates
    from homeostat.data.cleaning_rules import DropMissing as DropMissing
    from homeostat.data.cleaning_rules import KeepNewest as KeepNewest
    from homeostat.data.cleaning_rules import NullImpossible as NullImpossible
    from homeostat.data.cleaning_rules import Trim as Trim
    from homeostat.data.expectations import Expectation as Expectation
    from homeostat.data.expectations import Fresh as Fresh
    from homeostat.data.expectations import HasType as HasType
    from homeostat.data.expectations import InRange as InRange
    from homeostat.data.expectations import InSet as InSet
    from homeostat.data.expectations import Matches as Matches
    from homeostat.data.expectations import NotNull as NotNull
    from homeostat.data.expectations import References as References
    from homeostat.data.expectations import RowCount as RowCount
    from homeostat.data.expectations import Unique as Unique
    from homeostat.data.importing import import_bytes as import_bytes
    from homeostat.data.importing import import_file as import_file
    from homeostat.data.importing import import_query as import_query
    from homeostat.data.model import CheckReport as CheckReport
    from homeostat.data.model import CheckResult as CheckResult
    from homeostat.data.model import CleanReport as CleanReport
    from homeostat.data.model import Column as Column
    from homeostat.data.model import ColumnProfile as ColumnProfile
    from homeostat.data.model import Table as Table
    from homeostat.data.model import TableProfile as TableProfile
    from homeostat.data.model import TableVersion as TableVersion
    from homeostat.data.model import TreeVersion as TreeVersion
    from homeostat.data.tables import read_table as read_table
    from homeostat.data.tables import scan_table as scan_table
    from homeostat.data.tables import verify_table as verify_table
    from homeostat.data.tables import write_table as write_table
    from homeostat.data.trees import fetch_tree as fetch_tree
    from homeostat.data.trees import list_trees as list_trees
    from homeostat.data.trees import read_tree as read_tree
    from homeostat.data.trees import read_tree_file as read_tree_file
    from homeostat.data.trees import write_tree as write_tree

__getattr__, __dir__ = door(__name__)
