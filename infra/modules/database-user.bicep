// The user that the app has in the database, made without a right in the directory.

@description('Where the bytes of a GUID are in its text, in the order in which SQL Server keeps them.')
var bytes = [6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34]

@export()
@description('T-SQL that makes an application or managed identity a user who reads and writes rows. Azure SQL knows it by its client id.')
func databaseUser(name string, clientId string) string =>
  'CREATE USER [${name}] WITH SID = 0x${join(map(bytes, at => substring(clientId, at, 2)), '')}, TYPE = E; ALTER ROLE db_datareader ADD MEMBER [${name}]; ALTER ROLE db_datawriter ADD MEMBER [${name}];'
