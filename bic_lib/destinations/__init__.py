"""Places to deliver to: one module a kind, imported only when it is configured.

* `local_folder` (by `local_puts`, `local_files`, `local_folders`, `local_errors`)
* `azure_blob` (`blob_staging`, `blob_errors`) · `smb_share` (`smb_connections`, `smb_files`, `smb_staging`, `smb_errors`)
* `sql/` rows in SQLite, SQL Server, Azure SQL
* `blocks` pieces regrouped into a server's blocks · `temporary` names of files that are not finished yet · `listing` what a place
  holds, page by page
"""
