// The one identity that bic has in Azure. It outlives the app, so its rights and the database's user need not be given again.

@description('Name of the identity.')
param name string

@description('Azure region.')
param location string

@description('Tags of what is made.')
param tags { *: string }

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Name of the identity.')
output identityName string = identity.name

@description('Client id of the identity: what a login and Azure SQL know it by.')
output clientId string = identity.properties.clientId
