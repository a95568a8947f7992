// The database for rows: Entra ID only, pays by the second, sleeps when nobody asks. Its tables are made by bic (docs/sql.md).
param name string
param location string
param tags object
param administratorId string
param administratorName string
param administratorType string
param privateOnly bool

resource server 'Microsoft.Sql/servers@2023-08-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    version: '12.0'
    minimalTlsVersion: '1.2'
    publicNetworkAccess: privateOnly ? 'Disabled' : 'Enabled'
    restrictOutboundNetworkAccess: 'Enabled'
    administrators: {
      administratorType: 'ActiveDirectory'
      azureADOnlyAuthentication: true
      principalType: administratorType
      login: administratorName
      sid: administratorId
      tenantId: subscription().tenantId
    }
  }

  resource sessions 'databases' = {
    name: 'sessions'
    location: location
    tags: tags
    sku: { name: 'GP_S_Gen5', tier: 'GeneralPurpose', family: 'Gen5', capacity: 2 }
    properties: {
      minCapacity: json('0.5')
      autoPauseDelay: 60
      maxSizeBytes: 34359738368
      requestedBackupStorageRedundancy: 'Zone'
    }
  }

  // Without a virtual network the app's addresses are Azure's; entering still takes a token of a user of this database.
  resource fromAzure 'firewallRules' = if (!privateOnly) {
    name: 'AllowAllWindowsAzureIps'
    properties: { startIpAddress: '0.0.0.0', endIpAddress: '0.0.0.0' }
  }
}

output serverId string = server.id
output serverHost string = server.properties.fullyQualifiedDomainName
