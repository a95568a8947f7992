// Who may do what, no wider than it must be. docs/security.md gives the reason of each line.
// An assignment is named by the names of those whom it concerns, which are known before anything is made.

@description('What makes names of this installation unlike all others.')
param token string

@description('Name of the identity of the app.')
param identityName string

@description('Name of the storage account of the Functions host.')
param hostStorageName string

@description('Name of the storage account of settings and files.')
param dataStorageName string

@description('Container of bic.toml.')
param settingsContainer string

@description('Name of the vault.')
param vaultName string

@description('Secrets in it that the app may read.')
param secrets string[]

@description('Key in it that the app may sign with; empty: none.')
param sealKey string

@description('The app may tag files.')
param blobTags bool

@description('Name of the Application Insights component.')
param insightsName string

@description('Object id of whoever deploys.')
param deployerId string

@allowed(['User', 'Group', 'ServicePrincipal'])
@description('What that is.')
param deployerType string

@description('Built-in roles of Azure by their published ids.')
var builtIn = {
  storageBlobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  storageBlobDataContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  storageBlobDataReader: '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
  storageQueueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  storageTableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  keyVaultSecretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
  keyVaultSecretsOfficer: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
  keyVaultCryptoUser: '12338af0-0e69-4776-bea7-57ae8d297424'
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
}

@description('What can be done to a blob, as roles spell it.')
var blob = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs'

@description('Storing a file and reading it. A commit writes, also one that may only make a new blob.')
var storing = concat(['${blob}/read', '${blob}/write', '${blob}/add/action'], blobTags ? ['${blob}/tags/write'] : [])

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
}

resource host 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: hostStorageName
}

resource data 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: dataStorageName

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource settings 'containers' existing = {
      name: settingsContainer
    }

    resource archive 'containers' existing = {
      name: 'archive'
    }

    resource backups 'containers' existing = {
      name: 'backups'
    }
  }
}

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName

  resource readable 'secrets' existing = [
    for name in secrets: {
      name: name
    }
  ]

  resource seal 'keys' existing = if (!empty(sealKey)) {
    name: empty(sealKey) ? 'none' : sealKey
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

// --- roles of our own ------------------------------------------------------------------------------------------------

// Stores and reads, and can neither delete nor make containers.
resource archivist 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'archivist')
  properties: {
    roleName: 'bic archivist ${token}'
    description: 'Stores files in a container and reads them; deletes nothing.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: storing
        notDataActions: []
      }
    ]
  }
}

// The same, and removes what retention_count lets go.
resource backupKeeper 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'backup keeper')
  properties: {
    roleName: 'bic backup keeper ${token}'
    description: 'Stores backups in a container, reads them, and removes old ones.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: concat(storing, ['${blob}/delete'])
        notDataActions: []
      }
    ]
  }
}

// For the person who purges, for as long as that takes: nobody has it.
resource purger 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'purger')
  properties: {
    roleName: 'bic purger ${token}'
    description: 'Removes files from a container, older versions of them too.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: ['${blob}/read', '${blob}/delete', '${blob}/deleteBlobVersion/action']
        notDataActions: []
      }
    ]
  }
}

// --- the app ---------------------------------------------------------------------------------------------------------

// The host keeps locks, timers and keys in blobs of its account, and asks for ownership.
resource hostBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: host
  name: guid(host.id, identityName, builtIn.storageBlobDataOwner)
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', builtIn.storageBlobDataOwner)
  }
}

resource hostQueues 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: host
  name: guid(host.id, identityName, builtIn.storageQueueDataContributor)
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      builtIn.storageQueueDataContributor
    )
  }
}

resource hostTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: host
  name: guid(host.id, identityName, builtIn.storageTableDataContributor)
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      builtIn.storageTableDataContributor
    )
  }
}

// Read only: the app cannot change what it is told to do.
resource readsSettings 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: data::blobs::settings
  name: guid(data::blobs::settings.id, identityName, builtIn.storageBlobDataReader)
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', builtIn.storageBlobDataReader)
  }
}

resource writesArchive 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: data::blobs::archive
  name: guid(data::blobs::archive.id, identityName, 'archivist')
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: archivist.id
  }
}

resource writesBackups 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: data::blobs::backups
  name: guid(data::blobs::backups.id, identityName, 'backupKeeper')
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: backupKeeper.id
  }
}

// Each secret by itself: whatever else lies in the vault is not for the app.
resource readsSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, index) in secrets: {
    scope: vault::readable[index]
    name: guid(vault::readable[index].id, identityName, builtIn.keyVaultSecretsUser)
    properties: {
      principalId: identity.properties.principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', builtIn.keyVaultSecretsUser)
    }
  }
]

// Signs with that key alone, and makes none.
resource signsSeals 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(sealKey)) {
  scope: vault::seal
  name: guid(vault::seal.id, identityName, builtIn.keyVaultCryptoUser)
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', builtIn.keyVaultCryptoUser)
  }
}

resource tellsMetrics 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, identityName, builtIn.monitoringMetricsPublisher)
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      builtIn.monitoringMetricsPublisher
    )
  }
}

// --- whoever deploys: for as long as there is something to set up (docs/security.md) ----------------------------------

resource writesSettings 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: data::blobs::settings
  name: guid(data::blobs::settings.id, deployerId, builtIn.storageBlobDataContributor)
  properties: {
    principalId: deployerId
    principalType: deployerType
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      builtIn.storageBlobDataContributor
    )
  }
}

resource writesSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: vault
  name: guid(vault.id, deployerId, builtIn.keyVaultSecretsOfficer)
  properties: {
    principalId: deployerId
    principalType: deployerType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', builtIn.keyVaultSecretsOfficer)
  }
}
